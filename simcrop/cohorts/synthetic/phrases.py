"""The sentences of synthetic reports, in the manner of CT-RATE's but none of them taken from there.

{where} is the place, {side} left or right, {mm} the size.
"""

# label → ways to tell of one lesion, in the findings
POSITIVE = {
    "Medical material": (
        "A metallic device of {mm} mm with its lead is seen in the {side} anterior chest wall.",
        "There is a port of {mm} mm under the {side} chest skin, its catheter in the heart.",
        "A pacemaker with a diameter of {mm} mm lies before the {side} pectoral muscle.",
    ),
    "Arterial wall calcification": (
        "Calcified plaques extend over {mm} mm in the wall of the {where}.",
        "The wall of the {where} is calcified along a segment of {mm} mm.",
        "There are wall calcifications in the {where}, {mm} mm in length.",
    ),
    "Cardiomegaly": (
        "The heart is larger than normal, with a transverse diameter of {mm} mm.",
        "Heart size is increased and its transverse diameter reaches {mm} mm.",
        "Cardiac enlargement is seen, measuring {mm} mm in transverse diameter.",
    ),
    "Pericardial effusion": (
        "A pericardial effusion {mm} mm thick surrounds the heart.",
        "Fluid with a thickness of {mm} mm is seen in the pericardial space.",
        "There is pericardial fluid measuring {mm} mm at its thickest point.",
    ),
    "Coronary artery wall calcification": (
        "The {where} artery shows calcified plaques over {mm} mm.",
        "There are coronary calcifications in the {where} artery with a length of {mm} mm.",
        "Along {mm} mm of the {where} artery the wall is calcified.",
    ),
    "Hiatal hernia": (
        "A hiatal hernia with a diameter of {mm} mm is seen behind the heart.",
        "The stomach herniates through the hiatus, forming a sac of {mm} mm.",
        "There is a sliding hernia of {mm} mm at the oesophageal hiatus.",
    ),
    "Lymphadenopathy": (
        "An enlarged lymph node measuring {mm} mm is seen in the {where} region.",
        "There is a conglomerate of {where} lymph nodes up to {mm} mm in diameter.",
        "Pathological lymph nodes reach {mm} mm at the {where} station.",
    ),
    "Emphysema": (
        "An emphysematous area of {mm} mm is seen in the {where}.",
        "There is centrilobular emphysema extending over {mm} mm in the {where}.",
        "Parenchymal destruction by emphysema, {mm} mm wide, is present in the {where}.",
    ),
    "Atelectasis": (
        "Band atelectasis {mm} mm in length is seen in the {where}.",
        "There is a plate of atelectatic lung measuring {mm} mm in the {where}.",
        "Loss of aeration by atelectasis extends over {mm} mm in the {where}.",
    ),
    "Lung nodule": (
        "A solid nodule with a diameter of {mm} mm is seen in the {where}.",
        "There is a round nodule measuring {mm} mm in the {where}.",
        "The {where} contains a nodule of {mm} mm.",
    ),
    "Lung opacity": (
        "A ground-glass opacity of {mm} mm is seen in the {where}.",
        "There is hazy increased density with a diameter of {mm} mm in the {where}.",
        "The {where} shows a ground-glass area measuring {mm} mm.",
    ),
    "Pulmonary fibrotic sequela": (
        "Fibrotic bands {mm} mm in length are seen in the {where}, a sequela.",
        "There are sequela fibrotic strands over {mm} mm in the {where}.",
        "The {where} shows scarring with fibrotic streaks measuring {mm} mm.",
    ),
    "Pleural effusion": (
        "A pleural effusion {mm} mm deep is seen on the {side}.",
        "There is fluid in the {side} pleural space with a thickness of {mm} mm.",
        "The {side} hemithorax contains free pleural fluid measuring {mm} mm.",
    ),
    "Mosaic attenuation pattern": (
        "A mosaic attenuation pattern extends over {mm} mm in the {where}.",
        "There is a mosaic of high and low attenuation, {mm} mm across, in the {where}.",
        "The {where} shows mosaic attenuation across {mm} mm.",
    ),
    "Peribronchial thickening": (
        "Peribronchial thickening is seen along {mm} mm of the bronchi in the {where}.",
        "There is thickening of the bronchial walls over {mm} mm in the {where}.",
        "The {where} shows thick bronchial walls along a length of {mm} mm.",
    ),
    "Consolidation": (
        "A consolidation of {mm} mm with air bronchograms is seen in the {where}.",
        "There is airspace consolidation measuring {mm} mm in the {where}.",
        "The {where} contains a consolidated area with a diameter of {mm} mm.",
    ),
    "Bronchiectasis": (
        "Bronchiectasis extends along {mm} mm in the {where}.",
        "There are dilated bronchi, bronchiectatic over {mm} mm, in the {where}.",
        "The {where} shows tubular bronchiectasis with a length of {mm} mm.",
    ),
    "Interlobular septal thickening": (
        "Interlobular septal thickening is seen across {mm} mm in the {where}.",
        "There is a network of thickened interlobular septa over {mm} mm in the {where}.",
        "The {where} shows thick interlobular septa in an area of {mm} mm.",
    ),
}

# label → ways to say that it is absent
NEGATIVE = {
    "Medical material": ("No device or catheter is seen.", "There is no foreign material."),
    "Arterial wall calcification": (
        "The aortic wall shows no calcification.",
        "Aortic calibre is normal and its wall is free of plaques.",
    ),
    "Cardiomegaly": (
        "Heart size lies in the normal range.",
        "Heart size and contour are within limits.",
    ),
    "Pericardial effusion": (
        "No pericardial fluid is seen.",
        "There is no effusion in the pericardial space.",
    ),
    "Coronary artery wall calcification": (
        "The coronary arteries are free of calcification.",
        "No coronary plaques are identified.",
    ),
    "Hiatal hernia": (
        "The oesophageal hiatus is normal.",
        "The oesophagus has a normal course and no hernia is seen.",
    ),
    "Lymphadenopathy": (
        "No mediastinal or hilar node is enlarged.",
        "There are no lymph nodes of pathological size.",
    ),
    "Emphysema": ("There is no emphysema.", "No emphysematous change is seen in either lung."),
    "Atelectasis": ("There is no atelectasis.", "Both lungs are fully expanded."),
    "Lung nodule": ("No nodule is seen in either lung.", "Neither lung contains a nodule or mass."),
    "Lung opacity": (
        "There is no ground-glass density in the lungs.",
        "No opacity is seen in the lung parenchyma.",
    ),
    "Pulmonary fibrotic sequela": (
        "There are no fibrotic changes.",
        "No scar or fibrotic band is seen.",
    ),
    "Pleural effusion": (
        "Both pleural spaces are free of fluid.",
        "There is no pleural fluid on either side.",
    ),
    "Mosaic attenuation pattern": (
        "Attenuation of the lungs is homogeneous.",
        "There is no mosaic perfusion.",
    ),
    "Peribronchial thickening": (
        "Bronchial walls are thin.",
        "The bronchial walls are of normal thickness.",
    ),
    "Consolidation": ("There is no consolidation.", "No airspace consolidation is present."),
    "Bronchiectasis": ("Bronchial calibre is normal.", "There are no dilated bronchi."),
    "Interlobular septal thickening": (
        "The interlobular septa are not thickened.",
        "No septal thickening is present.",
    ),
}

# label → ways to sum it up, in the impression
SUMMARY = {
    "Medical material": ("Device in the {side} chest wall.", "Implanted material on the {side}."),
    "Arterial wall calcification": ("Calcification of the {where}.", "Calcified {where}."),
    "Cardiomegaly": ("Cardiomegaly.", "Enlarged heart."),
    "Pericardial effusion": ("Pericardial effusion.", "Fluid in the pericardium."),
    "Coronary artery wall calcification": (
        "Calcified {where} artery.",
        "Coronary calcification of the {where} artery.",
    ),
    "Hiatal hernia": ("Hiatal hernia.", "Hernia of the oesophageal hiatus."),
    "Lymphadenopathy": ("Enlarged {where} lymph nodes.", "Lymphadenopathy, {where}."),
    "Emphysema": ("Emphysema of the {where}.", "Emphysema, {where}."),
    "Atelectasis": ("Atelectasis of the {where}.", "Band atelectasis, {where}."),
    "Lung nodule": ("Nodule in the {where}.", "Solid pulmonary nodule, {where}."),
    "Lung opacity": ("Ground-glass opacity in the {where}.", "Opacity in the {where}."),
    "Pulmonary fibrotic sequela": (
        "Fibrotic sequela in the {where}.",
        "Sequela changes of the {where}.",
    ),
    "Pleural effusion": ("Pleural effusion on the {side}.", "{side}-sided pleural effusion."),
    "Mosaic attenuation pattern": (
        "Mosaic attenuation in the {where}.",
        "Mosaic pattern, {where}.",
    ),
    "Peribronchial thickening": (
        "Peribronchial thickening in the {where}.",
        "Thick bronchial walls of the {where}.",
    ),
    "Consolidation": ("Consolidation in the {where}.", "Pneumonic consolidation, {where}."),
    "Bronchiectasis": ("Bronchiectasis in the {where}.", "Bronchiectasis, {where}."),
    "Interlobular septal thickening": (
        "Septal thickening in the {where}.",
        "Thickened interlobular septa, {where}.",
    ),
}

# what normal reports say of the rest
AIRWAYS = (
    "The trachea lies in the midline and its lumen is free.",
    "Trachea and main bronchi are patent.",
    "The central airways are unobstructed.",
)
LUNGS = (
    "Both lungs were assessed in the parenchymal window.",
    "The lung parenchyma was examined in its window.",
    "Both lungs were evaluated for focal lesions.",
)
REST = (
    "The imaged part of the upper abdomen is unremarkable.",
    "Liver, spleen and adrenal glands appear normal in the sections.",
    "No lytic or destructive bone lesion is seen.",
    "Vertebral heights are maintained.",
    "The thoracic cage is intact.",
)
NORMAL = (
    "Chest findings are within normal limits.",
    "No pathology of the chest is identified.",
    "Normal chest CT.",
)

LOBES = {
    ("right", "upper"): ("upper lobe of the right lung", "right upper lobe"),
    ("right", "middle"): ("middle lobe of the right lung", "right middle lobe"),
    ("right", "lower"): ("lower lobe of the right lung", "right lower lobe"),
    ("left", "upper"): ("upper lobe of the left lung", "left upper lobe"),
    ("left", "middle"): ("lingula of the left lung", "left lingula"),
    ("left", "lower"): ("lower lobe of the left lung", "left lower lobe"),
}
PLACES = {
    "ascending": "ascending aorta",
    "arch": "aortic arch",
    "descending": "descending aorta",
    "anterior descending": "left anterior descending",
    "circumflex": "left circumflex",
    "coronary": "right coronary",
    "paratracheal": "right paratracheal",
    "hilar": "{side} hilar",
    "aortopulmonary": "left aortopulmonary",
}
